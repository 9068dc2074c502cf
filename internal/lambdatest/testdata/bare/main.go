// Command bare is the least that a function in Go can be: what the others' cold
// start is measured by.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() error { return nil }) }
