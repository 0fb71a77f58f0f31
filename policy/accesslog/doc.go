// Package accesslog reads the access logs of web servers and balancers: which
// requests came, from whom and when. It owns formats, compressions, and the
// cutting of logs of any size into blocks of whole lines. It knows no policy:
// what requests come to is package author's.
package accesslog
