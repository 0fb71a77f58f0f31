// Package risk scores how unusual a visit looks. Each signal is one file: it
// says whether it holds for what is known of the visit, and has a weight; the
// sum of the weights of those that hold is low, medium or high risk. A signal
// that cannot be judged counts as if it held.
//
// It is pure: it looks nothing up and keeps nothing. The caller gathers the
// Facts when a session begins, and when its address or browser changes, and
// gives the risk to the policy, which only ever asks for more because of it.
package risk
