package kept

// Look looks at a whole body at once.
func Look(contentType string, body []byte) Content {
	l := lookAt(contentType, "")
	l.write(body)
	return l.end()
}
