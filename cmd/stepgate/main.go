package main

import (
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/stepgate/stepgate/caddymodule"
	"github.com/stepgate/stepgate/caddymodule/command"
)

func main() {
	caddy.CustomBinaryName = "stepgate"
	caddy.CustomLongDescription = description
	command.RegisterShortForms()
	if introduce(os.Stdout, os.Args[1:]) {
		return
	}
	caddycmd.Main()
}
