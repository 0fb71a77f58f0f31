// Command bench measures what the gate costs beside a plain reverse proxy, in
// CPU time and as ratios taken in one run. scripts/bench starts it.
//
// Three gateways of the same binary run side by side and take turns: `bare`
// is reverse_proxy alone; `floor` receives the same cookie and sets the same
// identity headers and assertion, which no gate can do without; `gate` is the
// gate with 200 rules and a visitor who has signed in with a second factor.
package main
