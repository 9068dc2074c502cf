package browser

import "github.com/chromedp/cdproto/runtime"

// awaits waits for the promise that an expression answers.
func awaits(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
