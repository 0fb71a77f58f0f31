// Package guest wraps providers and sign-in sources of the tree as Caddy
// modules: their options in the Caddyfile and as JSON, and nothing of what
// they do. A module of somebody else's stands in their own repository and
// looks the same.
package guest
