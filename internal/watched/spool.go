package watched

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io"
	"os"
)

const (
	// spoolMemory is how much of a spool is held in memory, in bytes.
	spoolMemory = 8 << 20
	// maxSpool is how much it holds altogether.
	maxSpool = 1 << 30
)

// errSpoolFull says that a Spool takes no more. What it has stays.
var errSpoolFull = errors.New("the answer is longer than what may wait")

// Spool keeps an answer that has to wait: its beginning in memory, the rest in
// a file that has no name any more and is enciphered with a key that is kept
// nowhere. The zero value is ready. Close must be called.
type Spool struct {
	memory bytes.Buffer
	file   *os.File
	key    [32]byte
	write  cipher.Stream
	length int64
}

// Write keeps all of p, or nothing of it with an error.
func (s *Spool) Write(p []byte) (int, error) {
	if s.length+int64(len(p)) > maxSpool {
		return 0, errSpoolFull
	}
	if s.file == nil && s.memory.Len()+len(p) <= spoolMemory {
		s.memory.Write(p)
	} else if err := s.put(p); err != nil {
		return 0, err
	}
	s.length += int64(len(p))
	return len(p), nil
}

func (s *Spool) put(p []byte) error {
	if s.file == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	out := make([]byte, len(p))
	s.write.XORKeyStream(out, p)
	_, err := s.file.Write(out)
	return err
}

func (s *Spool) open() error {
	file, err := os.CreateTemp("", "stepgate-answer-*")
	if err != nil {
		return err
	}
	s.file = file
	// Where a file that is open cannot be removed, Close does.
	os.Remove(file.Name())
	rand.Read(s.key[:])
	s.write = s.stream()
	return nil
}

// stream begins anew at the file's first byte. A key serves one file, so that
// its counter may begin at zero.
func (s *Spool) stream() cipher.Stream {
	block, err := aes.NewCipher(s.key[:])
	if err != nil {
		panic(err) // the key is as long as AES-256 wants it
	}
	return cipher.NewCTR(block, make([]byte, aes.BlockSize))
}

// WriteTo writes all that was kept.
func (s *Spool) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(s.memory.Bytes())
	if err != nil || s.file == nil {
		return int64(n), err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return int64(n), err
	}
	// A piece that failed may have left something behind.
	m, err := io.CopyN(w, cipher.StreamReader{S: s.stream(), R: s.file}, s.length-int64(n))
	return int64(n) + m, err
}

// Close forgets all.
func (s *Spool) Close() error {
	s.memory = bytes.Buffer{}
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if gone := os.Remove(s.file.Name()); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	s.file = nil
	return err
}
