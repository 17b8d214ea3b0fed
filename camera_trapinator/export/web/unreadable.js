// A photo that cannot be read: `reason` is a key of the language table.

export class Unreadable extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}
