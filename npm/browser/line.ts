// A line to a server that can be cut and mended: bytes are passed on, whatever they are.

import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Line {
  /** The same URL, by way of this line. */
  by(url: string): string;
  /** Cuts what there is, and lets nobody through until it is mended. */
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

/** A line to where this URL leads. */
export async function openLine(url: string): Promise<Line> {
  const { hostname, port } = new URL(url);
  const ends = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return void near.destroy();
    const far = connect(Number(port), hostname);
    for (const [end, other] of [[near, far], [far, near]] as const) {
      ends.add(end);
      end.pipe(other);
      end.on('error', () => other.destroy());
      end.on('close', () => {
        ends.delete(end);
        other.destroy();
      });
    }
  });
  await new Promise<void>((done) => server.listen(0, hostname, done));
  const own = String((server.address() as AddressInfo).port);
  const cut = () => {
    isCut = true;
    for (const end of ends) end.destroy();
  };
  return {
    by: (url) => Object.assign(new URL(url), { port: own }).href,
    cut,
    mend: () => {
      isCut = false;
    },
    close: () => {
      cut();
      return new Promise((done) => void server.close(() => done()));
    },
  };
}
