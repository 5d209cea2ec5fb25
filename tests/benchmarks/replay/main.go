// Replays recorded inputs through OPA's Go SDK and counts those whose number of violations is not the recorded one.
//
//	replay POLICY_FOLDER DATA_FILE RECORDS_FILE
//
// RECORDS_FILE holds one JSON object a line: {"kind": "...", "violations": n, "input": {...}}. One core, prepared queries, and
// the clock runs over reading, evaluating and comparing. Prints {"decisions": n, "different": n, "cpu_s": s, "wall_s": s}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
)

type record struct {
	Kind       string `json:"kind"`
	Violations int    `json:"violations"`
	Input      any    `json:"input"`
}

func cpu() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func prepared(ctx context.Context, kind string) rego.PreparedEvalQuery {
	query, err := rego.New(rego.Query("data.platform.main."+kind), rego.Load([]string{os.Args[1], os.Args[2]}, nil)).PrepareForEval(ctx)
	if err != nil {
		panic(err)
	}
	return query
}

func main() {
	runtime.GOMAXPROCS(1)
	ctx := context.Background()
	file, err := os.Open(os.Args[3])
	if err != nil {
		panic(err)
	}
	queries := map[string]rego.PreparedEvalQuery{}
	for _, kind := range []string{"connector_call", "deploy"} {
		queries[kind] = prepared(ctx, kind)
	}
	decisions, different := 0, 0
	began, before := time.Now(), cpu()
	lines := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 1 {
			var row record
			if err := json.Unmarshal(line, &row); err != nil {
				panic(err)
			}
			found, err := queries[row.Kind].Eval(ctx, rego.EvalInput(row.Input))
			if err != nil {
				panic(err)
			}
			answer := found[0].Expressions[0].Value.(map[string]any)
			if len(answer["violations"].([]any)) != row.Violations {
				different++
			}
			decisions++
		}
		if err != nil {
			break
		}
	}
	fmt.Printf("{\"decisions\": %d, \"different\": %d, \"cpu_s\": %f, \"wall_s\": %f}\n",
		decisions, different, cpu()-before, time.Since(began).Seconds())
}
