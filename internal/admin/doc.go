// Package admin is the function for operators: dead letters and their replay,
// tasks of any tenant, records of streams, the audit trail, and faults that are
// injected. It takes one JSON object with a command and its fields, and answers
//
//	{"ok":true, …}
//	{"ok":false,"code":"…","message":"…"}
//
// What it does is in pkg/redrive, pkg/rescue and pkg/chaos; here is their JSON
// form. Nothing internal (ARNs, table names, AWS's own texts) is in an answer.
package admin
