package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// files are those of one size.
type files struct {
	dir, old, changed, assertions, log string
	rules                              int
}

// sequence gives numbers that are the same in every run.
type sequence uint64

func (s *sequence) below(n int) int {
	*s = *s*6364136223846793005 + 1442695040888963407
	return int(uint64(*s) >> 33 % uint64(n))
}

// portal writes the rules of a large portal, with some of them changed.
func portal(n, changes int) []string {
	lines := make([]string, 0, n+2)
	for i := range n {
		path, level := fmt.Sprintf("/app%d/mod%d", i/10, i%10), []string{"signed_in", "mfa", "phishing_resistant"}[i%3]
		switch i % 10 {
		case 3:
			lines = append(lines, "require "+level+" POST "+path+"/*")
		case 5:
			lines = append(lines, "require "+level+" "+path+"/*.pdf")
		case 7:
			lines = append(lines, "public "+path+"/static/*")
		case 8:
			lines = append(lines, "require "+level+" "+path+"/do?action=del*")
		default:
			lines = append(lines, "require "+level+" "+path+"/*")
		}
	}
	random := sequence(1)
	for range changes {
		i := random.below(n)
		lines[i] = fmt.Sprintf("require signed_in /app%d/mod%d/*", i/10, i%10)
	}
	return append(lines, "require phishing_resistant /*/admin/*", "raise mfa when risk high")
}

// The addresses of the gateway that is started, and of its admin endpoint.
const (
	siteAddress  = "127.0.0.1:18480"
	adminAddress = "127.0.0.1:18481"
)

func writeFiles(dir string, n int) (files, error) {
	f := files{
		dir: dir, rules: n, old: filepath.Join(dir, "old.Caddyfile"), changed: filepath.Join(dir, "new.Caddyfile"),
		assertions: filepath.Join(dir, "assertions"),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, err
	}
	for name, changes := range map[string]int{f.old: 0, f.changed: max(1, n/1000)} {
		text := fmt.Sprintf("{\n\tadmin %s\n\tstepgate {\n\t\tstore sqlite %s\n\t\tkey_file %s\n\t}\n}\nhttp://%s {\n\tstepgate {\n\t\tpolicy {\n\t\t\t%s\n\t\t}\n\t}\n\trespond there\n}\n",
			adminAddress, filepath.Join(dir, "stepgate.db"), filepath.Join(dir, "stepgate.key"), siteAddress,
			strings.Join(portal(n, changes), "\n\t\t\t"))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return f, err
		}
	}
	return f, os.WriteFile(f.assertions, []byte("GET /app0/mod0/x -> signed_in\nGET /elsewhere -> mfa\n"), 0o600)
}

// writeLog writes a log of the combined format.
func writeLog(name string, lines int) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	w := bufio.NewWriterSize(out, 1<<20)
	random := sequence(3)
	for i := range lines {
		app := random.below(1000)
		fmt.Fprintf(w, "192.0.2.%d - joe%d [02/Mar/2026:%02d:%02d:%02d +0000] \"GET /app%d/mod%d/page%d.do?id=%d HTTP/1.1\" 200 5316 \"https://portal.example/app%d\" \"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\"\n",
			random.below(250)+1, random.below(3000), i*24/lines, i/60%60, i%60, app, random.below(10), random.below(40), random.below(100_000), app)
	}
	return w.Flush()
}
