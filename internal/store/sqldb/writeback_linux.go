package sqldb

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// beginToWriteBack has the disk begin with a part of a file, which whoever
// syncs the file later then waits for the less.
func beginToWriteBack(f *os.File, at, length int64) error {
	err := unix.SyncFileRange(int(f.Fd()), at, length, unix.SYNC_FILE_RANGE_WRITE)
	if errors.Is(err, unix.ESPIPE) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return nil // not on this file system
	}
	return err
}

// leaveMemory lets go of what the kernel holds of a file that is on the disk: it
// is read once at most, and the next one finds memory that is in use already.
func leaveMemory(f *os.File) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) // advice, no more
}
