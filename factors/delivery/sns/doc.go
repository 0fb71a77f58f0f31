// Package sns is the provider of text messages that uses Amazon SNS: the
// Publish action to a phone number, as a transactional message, by the AWS
// SDK's client with its chain of credentials.
//
// The client's own retries are off, because a text must not be sent twice,
// and its errors are replaced, because they may repeat the phone number.
package sns
