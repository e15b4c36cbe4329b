// What the callback of a connection hears.

/** The statuses, and promises of their coming. */
export class Heard {
  readonly all: [number, string | null][] = [];
  private waiting: (() => void)[] = [];

  readonly callback = (status: number, condition: string | null): void => {
    this.all.push([status, condition]);
    for (const look of this.waiting) look();
  };

  async until(status: number): Promise<void> {
    await new Promise<void>((done) => {
      const look = () => {
        if (this.all.some(([heard]) => heard === status)) done();
      };
      this.waiting.push(look);
      look();
    });
  }

  get codes(): number[] {
    return this.all.map(([status]) => status);
  }
}
