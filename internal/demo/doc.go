// Package demo is the legacy application that the gateway is shown with: a
// county court's case portal as such things were built around 2004. It is
// somebody else's old app, so it imports nothing of ours and knows of the
// gateway only the request headers Remote-User, Remote-Name and Remote-Groups,
// which it believes without asking.
//
// It owns its pages, its cookie (PORTALSESSID), the form token bound to that
// cookie, and its records, which live in memory and are bounded. It checks no
// passwords and protects nothing: that is the gateway's work. It must never be
// reachable around it.
//
//	GET  /                         home
//	GET  /about  /assets/*         public text, style sheet, picture, script
//	GET  /cases                    docket search: ?q= &status= &page=
//	GET  /cases/{id}               one case, its notes and the notes form
//	POST /cases/{id}/notes         urlencoded: token, text
//	GET  /cases/{id}/documents     filed documents and the upload form
//	POST /cases/{id}/documents     multipart: token, file
//	GET  /cases/{id}/documents/{n} download
//	GET  /cases/{id}/live          status page that polls by XMLHttpRequest
//	GET  /api/cases/{id}/status    JSON for that page
//	POST /api/cases/{id}/close     JSON; the token comes as X-Portal-Token
//	GET  /messages  /events        notice board and its event stream
//	GET  /admin/                   users of the portal
//	POST /admin/delete             urlencoded: token, user
//	GET  /payments  /payments/new  payments made, and the form for one
//	POST /payments                 urlencoded: token, case, payee, amount
//	GET  /reports/2026.pdf         a real, small PDF
//	GET  /debug/vars               what such apps forget to switch off
//	ANY  /echo  /echo/*            the request as it arrived, as text
//
// Inbox is a page of its own for the demonstration: the text messages and
// e-mails that the gateway wrote to files instead of sending them.
package demo
