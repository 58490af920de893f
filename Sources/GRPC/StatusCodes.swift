// Code that uses this room also needs the status codes. They have a separate room below it, because
// the contract's errors have codes as well and need no transport.

@_exported import StatusCodes
