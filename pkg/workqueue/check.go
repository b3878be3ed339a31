package workqueue

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/spillway-go/spillway/pkg/task"
)

// MaxTenant is the length of the longest tenant; SQS takes as much for a
// MessageGroupId.
const MaxTenant = 128

const (
	maxTaskID   = 64
	maxInputRef = 1024
	maxOrigin   = 80 // SQS's limit for a queue's name
	maxCount    = 1 << 20
)

// check says what keeps m from being a message.
func (m *Message) check() error {
	switch {
	case !legalID(m.TaskID):
		return fmt.Errorf("task_id is missing or illegal: 1 to %d letters, digits, '-', '_', '.'", maxTaskID)
	case m.Run < 1 || m.Run >= math.MaxInt32:
		return fmt.Errorf("run is %d", m.Run)
	case !task.LegalType(m.Type):
		return fmt.Errorf("type is missing or illegal: lower-case words joined by dots, at most %d bytes", task.MaxType)
	case !task.VisibleASCII(m.Tenant, MaxTenant):
		return fmt.Errorf("tenant is missing or illegal: 1 to %d visible ASCII characters", MaxTenant)
	case m.CreatedAt.IsZero() || !legalTime(m.CreatedAt):
		return errors.New("created_at is missing or out of range")
	case m.Deadline.IsZero() || !legalTime(m.Deadline):
		return errors.New("deadline is missing or out of range")
	case !legalTime(m.ReplayedAt):
		return errors.New("replayed_at is out of range")
	case len(m.Input) == 0 && m.InputRef == "":
		return errors.New("input and input_ref are missing")
	case len(m.Input) > 0 && m.InputRef != "":
		return errors.New("input and input_ref exclude each other")
	case len(m.InputRef) > maxInputRef || !legalText(m.InputRef):
		return errors.New("input_ref is illegal")
	case !utf8.Valid(m.Input):
		return errors.New("input is not UTF-8")
	}
	return nil
}

// legalTime reports whether t can be written as RFC 3339.
func legalTime(t time.Time) bool {
	y := t.UTC().Year()
	return y >= 0 && y <= 9999
}

func legalID(s string) bool {
	if s == "" || len(s) > maxTaskID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
