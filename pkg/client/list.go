package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// ListRequest chooses tasks. The zero value asks for the newest of the caller's tenant.
type ListRequest struct {
	Type   string // only tasks of this type
	Status Status // only tasks in this state
	Limit  int    // tasks of one page, 1 to 100; the API's default is 25
	Cursor string // of the page before
}

// Page is a part of a list, newest first.
type Page struct {
	Tasks []*Task `json:"tasks"`
	// Cursor asks for the next page; it is empty on the last one. A page may be
	// short or even empty and still have one.
	Cursor string `json:"cursor,omitempty"`
}

// List returns one page of tasks.
func (c *Client) List(ctx context.Context, r ListRequest) (*Page, error) {
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	set("type", r.Type)
	set("status", string(r.Status))
	set("cursor", r.Cursor)
	if r.Limit != 0 {
		set("limit", strconv.Itoa(r.Limit))
	}
	p := new(Page)
	if out := c.do(ctx, call{method: http.MethodGet, path: "/tasks", query: query}, p); out.err != nil {
		return nil, out.err
	}
	return p, nil
}

// All returns the tasks of this and all following pages, newest first. An error
// ends it: the last pair then has a nil task. Limit is the size of the pages
// that it asks for and defaults to 100. Tasks submitted meanwhile may be missed.
func (c *Client) All(ctx context.Context, r ListRequest) iter.Seq2[*Task, error] {
	if r.Limit == 0 {
		r.Limit = 100
	}
	return func(yield func(*Task, error) bool) {
		r := r // an iterator may be ranged over more than once
		for {
			p, err := c.List(ctx, r)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, t := range p.Tasks {
				if !yield(t, nil) {
					return
				}
			}
			if p.Cursor == "" {
				return
			}
			if p.Cursor == r.Cursor {
				yield(nil, errors.New("list: the API answered with the cursor that it was asked with"))
				return
			}
			r.Cursor = p.Cursor
		}
	}
}
