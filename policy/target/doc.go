// Package target reads a request target in every way that some server in use
// would read it.
//
// The policy must hold whatever the upstream makes of the bytes. So there is
// no one clean path here: Reader.Read takes the raw target, refuses what no
// honest browser sends, and gives every reading of the rest. The policy looks
// all of them up and wants all the levels it finds.
//
// # The readings
//
// They are the closure of these steps, in any order and combination:
//
//   - percent-decoding, of everything or of everything but the slash;
//   - a segment's ";parameters" or ":stream" cut;
//   - a segment's trailing dots, blanks or pluses trimmed;
//   - a session in parentheses taken out, as ASP.NET has it;
//   - all runs of slashes merged, or the leading one only;
//   - the path cut at a decoded "?" or "#";
//   - what follows a script taken as the path;
//   - full-width and other forms of "/", "%", "?", "#", ";" and ":" folded to
//     them, and unseen characters next to these dropped. (Of all other
//     characters the folded form is the only one.)
//
// Every step on a segment is taken by itself, so two segments with parameters
// have four readings. More than MaxReadings is a refusal.
//
// All readings are folded: letter case, Unicode compatibility forms,
// characters that no one sees. Patterns are folded by the same function
// (FoldSegment), so that both sides agree.
//
// The first reading is the path as sent. Only letters outside ASCII, blanks,
// quotes, braces and their like are decoded in it: they never travel raw, so
// their escapes are their only spelling and no reading of its own. All other
// escapes stand in it and are undone in later readings.
//
// An encoded slash that is part of a segment is written "%2f" in a reading: a
// "/" in a reading always separates segments.
//
// Escapes that are no UTF-8 are refused, unless the site names a charset: then
// they are read in it, and those that are UTF-8 in both ways.
//
// A "%" that appears only after a decoding and starts no escape is an honest
// percent sign ("/100%25") and ends that chain of decodings; in the raw path
// it is a broken encoding and refused.
//
// A script that something follows is no reading of its own, because most of
// what is behind a script has rules of its own; Readings.Scripts names it.
//
// A trailing slash is kept: "/a/" has an empty last segment. The policy says
// what that means.
//
// # What it does not own
//
// Patterns, levels and what follows from a reading are the policy's; the
// Host, headers and "OPTIONS *" are the handler's, which answers for the last
// before it calls Read. Any room may call this one; it imports none of ours.
package target
