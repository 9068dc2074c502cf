// Package browser tests amx's page in Chromium, as a user has it: the built
// binary, real runs, a keyboard, a telephone's width; and the widget of the dashboard,
// in a page that stands in for CloudWatch. Its screenshots are those of
// the documents. It is a module of its own, so that the product's go.mod does not
// carry the driver.
package browser
