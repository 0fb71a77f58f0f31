// Package guest wraps providers of the tree as Caddy modules: their options
// in the Caddyfile and as JSON, and nothing of what they do. A provider of
// somebody else's stands in their own repository and looks the same.
package guest
