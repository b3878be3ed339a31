package memstack

import (
	"maps"
	"slices"
)

// CheckVariables is what a deployment checks of each function.
var CheckVariables = checkVariables

// SetupIDs are the functions that the package knows.
func SetupIDs() []string { return slices.Sorted(maps.Keys(setups)) }

// Start runs the init phase of every function, and returns their ids and
// variables.
func (s *Stack) Start() (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	for _, f := range s.functions {
		if _, err := f.environment(); err != nil {
			return nil, err
		}
		all[f.id] = f.variables
	}
	return all, nil
}
