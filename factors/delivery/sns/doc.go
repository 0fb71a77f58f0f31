// Package sns is the provider of text messages that uses Amazon SNS: the
// Publish action to a phone number, as a transactional message.
//
// Requests are signed with the AWS SDK's signer (Signature Version 4) and its
// chain of credentials. The request itself is written here and not by the
// SDK's client of the service, for two reasons: that client tries again by
// itself, and a text must not be sent twice; and its errors repeat the phone
// number.
package sns
