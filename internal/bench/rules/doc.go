// Command rules measures what policies of many rules cost: each of the policy's
// commands, and a gateway's start and reload, beside awk on the same file in
// the same run. scripts/bench-policy runs it. It owns the files that it
// measures with, and nothing that the gateway uses.
package main
