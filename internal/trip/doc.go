// Package trip is the example of a saga: a hotel, a flight and a car are booked
// one after the other, and canceled in reverse when one fails. [Saga] is its
// definition, of which infra/asl/trip.asl.json is rendered; a [Desk] has the six
// functions behind its steps, which say what to write and leave it to package
// saga to write it once; [Stock] is what they book; [Export] pages through all
// reservations, as long as that may take.
//
// All of it lives in one table: stock under "item#", reservations under
// "reservation#", and the records of the sagas under "saga#".
package trip
