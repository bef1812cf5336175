// Answers the requests of `cassgate schedule - --format json` with robfig/cron.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

type request struct {
	Expr  string `json:"expr"`
	From  int64  `json:"from"`
	Zone  string `json:"zone"`
	Count int    `json:"count"`
}

type answer struct {
	Expr  string  `json:"expr"`
	Valid bool    `json:"valid"`
	Next  []int64 `json:"next,omitempty"`
	Error string  `json:"error,omitempty"`
}

func parse(text string) (schedule cron.Schedule, err error) {
	// robfig panics on a zone without a schedule.
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return cron.ParseStandard(text)
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	answers := json.NewEncoder(output)
	zones := map[string]*time.Location{}
	for input.Scan() {
		var asked request
		if err := json.Unmarshal(input.Bytes(), &asked); err != nil {
			fail(err)
		}
		if zones[asked.Zone] == nil {
			zone, err := time.LoadLocation(asked.Zone)
			if err != nil {
				fail(err)
			}
			zones[asked.Zone] = zone
		}
		given := answer{Expr: asked.Expr}
		if schedule, err := parse(asked.Expr); err != nil {
			given.Error = err.Error()
		} else {
			given.Valid = true
			run := time.Unix(asked.From, 0).In(zones[asked.Zone])
			for len(given.Next) < asked.Count {
				if run = schedule.Next(run); run.IsZero() {
					break
				}
				given.Next = append(given.Next, run.Unix())
			}
		}
		if err := answers.Encode(given); err != nil {
			fail(err)
		}
	}
	if err := input.Err(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "robfig:", err)
	os.Exit(1)
}
