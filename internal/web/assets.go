package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// assetTypes are the kinds of files that are served, by extension.
var assetTypes = map[string]string{
	".css":   "text/css; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".svg":   "image/svg+xml",
	".png":   "image/png",
	".ico":   "image/x-icon",
	".woff2": "font/woff2",
}

// assets are the files that pages load, by their plain names.
type assets struct {
	mu    sync.RWMutex
	files map[string]asset
}

type asset struct {
	hashed string // name with the start of its hash in it
	data   []byte
}

func newAssets() *assets { return &assets{files: map[string]asset{}} }

func (a *assets) add(files map[string][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, data := range files {
		sum := sha256.Sum256(data)
		ext := path.Ext(name)
		a.files[name] = asset{hashed: strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext, data: data}
	}
}

func (a *assets) find(name string) (asset, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	f, ok := a.files[name]
	return f, ok
}

// asset gives the address of an asset under its hashed name.
func (p *page) asset(name string) (string, error) {
	f, ok := p.kit.assets.find(name)
	if !ok {
		return "", fmt.Errorf("asset %q does not exist", name)
	}
	return p.Site.Path("/assets/" + f.hashed), nil
}

// Assets serves what pages load, below the site's prefix and "/assets/". Names
// carry a hash of their content, so browsers keep them for good; a name with
// another hash, from a page of an older version, gets the present content,
// which is not kept.
func (k *Kit) Assets(site *Site) http.Handler {
	prefix := site.Path("/assets/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		Harden(h, site)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		hashed, below := strings.CutPrefix(r.URL.Path, prefix)
		f, ok := k.assets.find(plainName(hashed))
		kind := assetTypes[path.Ext(hashed)]
		// None of ours is a service worker, and none may become one.
		if !below || !ok || kind == "" || r.Header.Get("Service-Worker") != "" {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		if hashed == f.hashed {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
			h.Del("Vary")
		}
		h.Set("Content-Type", kind)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
	})
}

// plainName takes the hash out of a hashed name.
func plainName(hashed string) string {
	ext := path.Ext(hashed)
	base := strings.TrimSuffix(hashed, ext)
	return strings.TrimSuffix(base, path.Ext(base)) + ext
}
