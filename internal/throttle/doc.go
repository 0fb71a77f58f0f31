// Package throttle keeps budgets: of wrong answers and of messages sent. It
// owns the arithmetic of attempts and delays; the store only keeps counters,
// so that all nodes share them. Challenge spends here before it asks a factor
// or a sign-in source to compare anything; factors and sources need not know.
//
// # Spending before comparing
//
// A try counts as a failure before anybody looks at the answer. A right
// answer gives it back (Ledger.Success), and so does a factor that broke
// (Ledger.Refund). Twenty guesses sent at once therefore meet the same budget
// as twenty sent in a row, and a crash in between counts as a failure. All
// counters of a try move in one write transaction, or none does. Where a
// comparison takes no time it is part of that transaction (Ledger.Charging), and
// nobody hears of the outcome before it is kept.
//
// # Whom a try is charged to
//
// Plan names the counters of a try. The numbers of DefaultPlan:
//
//	counter                     counts                         tries free of a wait        forgets after     a right answer
//	near: account, factor,      one guesser at one place       5; password 10;             24 h of quiet     clears it
//	  address                                                  security_questions 5
//	far: account, factor        many places at one account     20; password 50;            24 h of quiet     clears it
//	                                                           security_questions 10
//	cap: account, factor        failures in a row              100 in all; security_       never             clears it
//	                                                           questions, pin,
//	                                                           device_pin 10 in all
//	address: address, factor    one place at many accounts     40                          1 h of quiet      gives one back
//	known: account, factor,     a browser that has proved      as near                     24 h of quiet     clears it
//	  browser or session         more than the sign-in
//	known cap: the same         failures in a row              as cap                      never             clears it
//
// The waits that follow are 30 s, 1, 2, 5, 15 and then 60 minutes; they begin
// with the failure that uses up the last free try. Three counters differ: an
// address waits 5 minutes at most, backup_code is free ten times and then
// waits 15 minutes, security_questions waits 30 minutes. A cap that is
// reached disables the factor for whoever is counted there until the counter
// is cleared (SP 800-63B-4 §3.2.2: no more than 100 failures in a row).
//
// A try of a known browser is charged to "known" and its cap alone. So a
// stranger, who only ever reaches the other counters, cannot lock a person's
// known device, nor any factor but the one that is guessed at; and a stolen
// device gets no more than its own few tries. What makes a browser known is a
// proof that the sign-in alone does not give: see Try.Known.
//
// Names that no account has are counted exactly like those of accounts: the
// plan sees only a name.
//
// # Messages
//
// SendPlan names the counters of a message, each channel by itself. The
// numbers of DefaultSendPlan:
//
//	counter          allows
//	destination      1 in 30 s, 5 an hour, 10 a day
//	account          5 an hour, 10 a day
//	country          300 an hour, 3000 a day
//	total            500 an hour, 5000 a day
//	address          10 an hour for what strangers can ask for
//	address held     300 an hour for credentials already held
//	block            50 an hour to 1000 neighbouring numbers, strangers only
//	unanswered       5 in a row that nobody answered, then one in 15 minutes
//	month            a ceiling where one is set, a part kept for those held;
//	                 what is no code is counted and never refused
//
// Rates are sliding windows, exact to the message for limits up to 12 and
// never above the limit for larger ones. Ceiling counts a calendar month.
package throttle
