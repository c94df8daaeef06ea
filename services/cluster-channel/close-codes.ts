/** Close codes of our own (RFC 6455, section 7.4.2 leaves 4000 to 4999 to applications). */
export const CLOSE = {
  notRegistered: 4000,
  replaced: 4001,
  alreadyRegistered: 4002,
  badFrames: 4003,
  removed: 4004,
  registrationTimeout: 4008,
  nameInUse: 4009,
  tooManyFrames: 4013
} as const
