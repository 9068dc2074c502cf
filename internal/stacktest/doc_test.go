// Package stacktest holds template.yaml to what the documents promise of the
// stack. It reads the template as SAM's transform leaves it, which is what AWS
// gets: testdata/transformed.json, written by `make sam-transform`. It evaluates
// conditions and references itself, so that every test sees a stack as some
// choice of parameters makes it.
package stacktest
