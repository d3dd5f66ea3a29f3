/**
 * A user's ban as the user's own object knows it. SQL is the authority; this copy is what kills tokens and sockets at once.
 * It is told twice, by the request that bans and by the event behind it, in any order and more than once.
 */

/** `at` is when an admin decided so, epoch milliseconds. */
export type Ban = { banned: boolean; at: number };

/**
 * What holds after `told`: the later decision, and of two in one millisecond the ban.
 * @returns undefined when nothing changes
 */
export function afterTold(known: Ban | undefined, told: Ban): Ban | undefined {
  if (known === undefined) {
    return told;
  }
  const isLater = told.at > known.at || (told.at === known.at && told.banned && !known.banned);
  return isLater ? told : undefined;
}
