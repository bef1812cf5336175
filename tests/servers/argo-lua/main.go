// Runs a health check of Argo CD on objects.
//
//	argo-lua health.lua < objects
//
// One object as JSON on each line of the input, one answer {"status": …, "message": …} on each line of the output. The
// script has what Argo CD gives to one that stands in its ConfigMap: the global obj, Lua's base and table libraries,
// and one second. No strings, no files.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// health is what a script returns.
type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

var libraries = map[string]lua.LGFunction{
	lua.LoadLibName: lua.OpenPackage,
	lua.BaseLibName: lua.OpenBase,
	lua.TabLibName:  lua.OpenTable,
}

func main() {
	if len(os.Args) != 2 {
		fail("usage: argo-lua SCRIPT < OBJECTS")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail("%v", err)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 8<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var object map[string]any
		if err := json.Unmarshal(lines.Bytes(), &object); err != nil {
			fail("no object: %v", err)
		}
		answer, err := judge(string(script), object)
		if err != nil {
			fail("%s: %v", os.Args[1], err)
		}
		if err := answers.Encode(answer); err != nil {
			fail("%v", err)
		}
	}
	if err := lines.Err(); err != nil {
		fail("%v", err)
	}
}

func judge(script string, object map[string]any) (health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	// package first: the others register themselves with it.
	for _, name := range []string{lua.LoadLibName, lua.BaseLibName, lua.TabLibName} {
		open := lua.P{Fn: state.NewFunction(libraries[name]), Protect: true}
		if err := state.CallByParam(open, lua.LString(name)); err != nil {
			return health{}, err
		}
	}
	deadline, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	state.SetContext(deadline)
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return health{}, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return health{}, fmt.Errorf("it returned no table but a %s", state.Get(-1).Type())
	}
	text := func(field string) string { return lua.LVAsString(table.RawGetString(field)) }
	return health{Status: text("status"), Message: text("message")}, nil
}

// value is what Lua sees of JSON.
func value(state *lua.LState, json any) lua.LValue {
	switch json := json.(type) {
	case bool:
		return lua.LBool(json)
	case float64:
		return lua.LNumber(json)
	case string:
		return lua.LString(json)
	case []any:
		table := state.NewTable()
		for _, item := range json {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range json {
			table.RawSetString(key, value(state, item))
		}
		return table
	}
	return lua.LNil
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "argo-lua: "+format+"\n", arguments...)
	os.Exit(1)
}
