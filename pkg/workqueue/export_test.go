package workqueue

// DecodeAs reads a body as the program does whose newest version is known.
func DecodeAs(text string, known int) (Message, error) {
	return decodeBody(text, oldest(known), known)
}
