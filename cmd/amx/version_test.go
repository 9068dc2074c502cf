package main

import (
	"runtime/debug"
	"testing"
)

func TestTheVersionIsThatOfTheBuildElseOfTheModule(t *testing.T) {
	of := func(v string) *debug.BuildInfo { return &debug.BuildInfo{Main: debug.Module{Version: v}} }
	for _, test := range []struct {
		built string
		info  *debug.BuildInfo
		want  string
	}{
		{"v1.2.3", of("v9.9.9"), "v1.2.3"},
		{"dev", of("v1.2.3"), "v1.2.3"},
		{"dev", of("(devel)"), "dev"},
		{"dev", of(""), "dev"},
		{"dev", nil, "dev"},
	} {
		if got := versionOf(test.built, test.info); got != test.want {
			t.Errorf("version %q, module %+v: got %q, want %q", test.built, test.info, got, test.want)
		}
	}
}
