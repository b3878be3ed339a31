package tasktable

// Counts reports whether the settlement counts an attempt.
func (s Settlement) Counts() bool { return s.attempts == s.row.Counted() }
