package kept

// Look looks at a whole body at once.
func Look(contentType string, body []byte) Content {
	l := lookAt(contentType, "")
	if len(body) > 0 {
		l.begin(body)
		l.wait()
	}
	return l.end()
}
