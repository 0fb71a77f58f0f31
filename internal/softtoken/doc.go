// Package softtoken is a key that a browser keeps behind a PIN, and what it
// takes to judge by it: the script that makes and uses the key, the letters in
// which its answers come, what it signs, and how its tries are counted.
//
// The factors `device_pin` (a browser that is a private device) and `approval`
// (an app on a phone) both stand on it. The construction is that of
// docs/devices.md: the browser stores nothing that tells a right PIN from a
// wrong one, so every guess is an answer that is counted here.
//
// The package keeps nothing and draws no page.
package softtoken
