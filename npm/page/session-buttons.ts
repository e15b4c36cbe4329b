// What can be done with a connection: call it off, cut it from below, log out.

import { Strophe, type Connection } from 'epode';
import { part } from './parts.js';

/** Where a pane stands. */
export type Stage = 'open' | 'busy' | 'online' | 'lost';

export class SessionButtons {
  private readonly leave: HTMLButtonElement;
  private readonly cut: HTMLButtonElement;
  private readonly logout: HTMLButtonElement;

  /** `connection` is the one that there is, if there is one. */
  constructor(root: HTMLElement, private readonly connection: () => Connection | null, logOut: () => void) {
    [this.leave, this.cut, this.logout] = [part(root, 'leave'), part(root, 'cut'), part(root, 'logout')];
    this.leave.addEventListener('click', () => this.connection()?.disconnect());
    this.cut.addEventListener('click', () => socketOf(this.connection())?.close());
    this.logout.addEventListener('click', logOut);
  }

  /** Shows those that are of use. */
  show(stage: Stage): void {
    this.leave.hidden = stage === 'open';
    this.leave.textContent = stage === 'busy' ? 'Cancel' : 'Disconnect';
    this.cut.hidden = stage === 'open' || stage === 'busy' || !socketOf(this.connection());
    this.cut.disabled = stage === 'lost';
    if (stage !== 'online') this.logout.hidden = true;
  }

  /** Whether there is a token for the server to forget. */
  showLogout(hasToken: boolean): void {
    this.logout.hidden = !hasToken;
  }

  focus(): void {
    this.leave.focus();
  }
}

/** What is cut as by a network that goes away: no stream is closed. Requests of BOSH have no such thing. */
function socketOf(connection: Connection | null): WebSocket | null {
  return connection?._proto instanceof Strophe.Websocket ? connection._proto.socket : null;
}
