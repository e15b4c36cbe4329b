// Texts that wait for somebody, in their order: as many as a page may be asked to hold.

/** A list with a limit to how many there are, and to how long they are together. */
export class Waiting {
  private texts: string[] = [];
  private length = 0;

  /** The one that has waited longest. */
  get first(): string | undefined {
    return this.texts[0];
  }

  /** Adds a text at the end. False if there is no room. */
  add(text: string): boolean {
    const length = this.length + text.length;
    if (this.texts.length >= MOST_TEXTS || length > MOST_CHARACTERS) return false;
    this.texts.push(text);
    this.length = length;
    return true;
  }

  /** Takes the first away. */
  shift(): void {
    this.length -= this.texts.shift()?.length ?? 0;
  }

  /** Takes all away. */
  drain(): string[] {
    this.length = 0;
    return this.texts.splice(0);
  }
}

const MOST_TEXTS = 1000;
const MOST_CHARACTERS = 4 * 1024 * 1024;
