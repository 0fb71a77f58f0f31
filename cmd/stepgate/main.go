package main

import (
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/stepgate/stepgate/caddymodule"
)

func main() {
	caddy.CustomBinaryName = "stepgate"
	caddy.CustomLongDescription = description
	caddymodule.RegisterShortForms()
	if introduce(os.Stdout, os.Args[1:]) {
		return
	}
	caddycmd.Main()
}
