// Command bench measures what the gate costs beside a plain reverse proxy, in
// CPU time of the gateway's process alone, and as ratios taken in one run.
// scripts/bench starts it.
//
// Gateways of one binary run side by side and take turns, so that what else
// the machine does meets all alike: `bare` is reverse_proxy alone; `floor`
// receives the same cookie and sets the same identity headers and assertion,
// which no gate can do without; the others are the gate. The application
// behind them is a process of its own, and so are those that only compute
// argon2id or only commit, which sign-ins and codes are compared with.
//
//	main.go     options, and the turns
//	rows.go     what is measured: the rows of the table
//	site.go     their Caddyfiles
//	gateway.go  a process and what it has used
//	browser.go  the steps of a person before the measuring
//	load.go     requests at saturation, by HTTP/1.1 and HTTP/2
//	entry.go    sign-ins and codes
//	upload.go   forms with a large file, passed on and kept
//	child.go    the processes beside: the application, argon2id, commits, the disk
//	report.go   the table
package main
