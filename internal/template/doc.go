// Package template reads template.yaml as data: the resources that a
// deployment with certain parameters has, with all intrinsic functions
// resolved.
//
//	t, err := template.Load("template.yaml", template.Deployment{Stack: "spillway", Region: "eu-central-1", Account: "123456789012"})
//	var queue struct{ QueueName string }
//	err = t.Resources("AWS::SQS::Queue")[0].Decode(&queue)
//
// Names and ARNs are formed as CloudFormation and the services form them,
// except that a generated name ends in the logical id alone, without
// CloudFormation's random suffix. What the package does not know, an intrinsic
// function or an attribute, is an error where it is used.
package template
