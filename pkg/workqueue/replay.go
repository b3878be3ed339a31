package workqueue

import (
	"strconv"
	"time"

	"github.com/spillway-go/spillway/pkg/event"
	"github.com/spillway-go/spillway/pkg/internal/jsonscan"
	"github.com/spillway-go/spillway/pkg/task"
)

// Replay turns a dead letter into the message that goes back to the queue it
// came from. It never fails; whether a queue takes the result is for the send
// to say.
//
// One of ours gets the given run and, as the time from which its age counts,
// at; every other byte of its body stays. Attributes of every type stay, except
// error_code and failure, which said why it was a dead letter; replays is one
// more, and hops count from 0. Of a message that is not ours the body stays as
// it is, and replays is counted while there is room for it. The deduplication
// id is the caller's to choose.
func Replay(rec *event.SQSMessage, run int, at time.Time) Outgoing {
	out := Outgoing{Body: rec.Body, Attributes: attributesOf(rec), Group: groupOf(rec), Trace: rec.TraceHeader}
	m, err := DecodeRecord(rec)
	if err == nil && run >= 1 {
		if text, ok := nextBody(rec.Body, run, at); ok {
			out.Body = text
			out.Attributes[AttrRun], out.Attributes[AttrHops] = numberValue(run), numberValue(0)
		}
	}
	if err == nil || rejected(rec) {
		delete(out.Attributes, AttrErrorCode)
		delete(out.Attributes, AttrFailure)
	}
	_, counted := out.Attributes[AttrReplays]
	if counted || len(out.Attributes) < MaxAttributes {
		replays := m.Replays
		if err != nil {
			replays = count(rec.Attribute(AttrReplays).String)
		}
		out.Attributes[AttrReplays] = numberValue(replays + 1)
	}
	return out
}

// Replays returns how often a message says that it was replayed.
func Replays(rec *event.SQSMessage) int { return count(rec.Attribute(AttrReplays).String) }

// Rejection returns the failure record of a dead letter that a worker sent;
// false for a message that SQS moved itself, or that somebody put there.
func Rejection(rec *event.SQSMessage) (FailureRecord, bool) {
	a := rec.Attribute(AttrFailure)
	if a.String == "" {
		return FailureRecord{}, false
	}
	f, err := ParseFailure(a.String)
	return f, err == nil && f.Code != ""
}

func rejected(rec *event.SQSMessage) bool {
	_, ok := Rejection(rec)
	return ok
}

// AsReceived returns a received message as it can be sent again, unchanged: to
// keep it elsewhere and to put it back.
func AsReceived(rec *event.SQSMessage) Outgoing {
	return Outgoing{Body: rec.Body, Attributes: attributesOf(rec), Group: groupOf(rec), Trace: rec.TraceHeader}
}

// nextBody returns the object in text with other values for run and
// replayed_at, and every other byte as it was. It reports false if text is not
// an object with exactly one run and at most one replayed_at.
func nextBody(text string, run int, at time.Time) (string, bool) {
	type place struct{ from, to, found int }
	var runAt, replayedAt place
	s := jsonscan.New(text)
	s.Object(func(name string) {
		begin := s.Begin()
		s.Skip()
		here := place{begin, begin + len(s.Since(begin)), 1}
		switch name {
		case "run":
			here.found += runAt.found
			runAt = here
		case "replayed_at":
			here.found += replayedAt.found
			replayedAt = here
		}
	})
	s.End()
	if s.Err() != nil || runAt.found != 1 || replayedAt.found > 1 {
		return "", false
	}
	number, moment := strconv.Itoa(run), `"`+task.At(at).String()+`"`
	switch {
	case replayedAt.found == 0:
		return text[:runAt.from] + number + `,"replayed_at":` + moment + text[runAt.to:], true
	case replayedAt.from > runAt.from:
		return text[:runAt.from] + number + text[runAt.to:replayedAt.from] + moment + text[replayedAt.to:], true
	default:
		return text[:replayedAt.from] + moment + text[replayedAt.to:runAt.from] + number + text[runAt.to:], true
	}
}
