// The part of a connection that logs in: who does, by what, and which mechanisms are known. What
// they say is theirs and the core's, and the choice is the core's too.

import { binaryString } from './bytes.js';
import { byPriority, judge, type Verdict } from './choice.js';
import type { Connection } from './connection.js';
import { firstMessage, type Proof } from './core.js';
import type { SASLMechanism } from './mechanism.js';
import { DEFAULT_MECHANISMS, isOwn } from './mechanisms.js';
import type { Pass, SASLMechanismClass, ScramKeys } from './options.js';
import { classify } from './secret.js';
import { Sending } from './sending.js';

/** A connection, as far as it logs in. */
export abstract class Authentication extends Sending {
  authzid: string | null = null;
  authcid: string | null = null;
  pass: Pass | null = null;
  /** The keys of the last login with SCRAM, for the next one; they are there on CONNECTED. */
  scram_keys: ScramKeys | null = null;
  /** The mechanisms, by their names. */
  mechanisms: Record<string, SASLMechanism> = Object.create(null) as Record<string, SASLMechanism>;
  /** Whether the login begins by itself; else it waits for {@link authenticate}. */
  do_authentication = true;
  /** The mechanism in use, while it is. */
  _sasl_mechanism: SASLMechanism | null = null;
  /** What a mechanism of one's own wants to remember during a login; the core keeps nothing here. */
  _sasl_data: Record<string, unknown> = {};

  /** Lets a login go on that waits for this. */
  protected abstract logInBy(verdicts: Verdict[]): void;
  /** What the core is told. */
  protected abstract settings(): object;

  /**
   * Begins the login, if the server has made its offer, with these mechanisms or all that are
   * known. The core does it, and reports what comes of it.
   */
  authenticate(mechanisms: SASLMechanism[] = Object.values(this.mechanisms)): void {
    this._attemptSASLAuth(mechanisms);
  }

  /** The order in which mechanisms are tried. */
  sortMechanismsByPriority(mechanisms: SASLMechanism[]): SASLMechanism[] {
    return byPriority(mechanisms);
  }

  /** Makes the mechanisms of these classes the ones that are known. */
  registerSASLMechanisms(classes: SASLMechanismClass[] = DEFAULT_MECHANISMS): void {
    this.mechanisms = Object.create(null) as Record<string, SASLMechanism>;
    for (const one of classes) this.registerSASLMechanism(one);
  }

  /**
   * Adds a mechanism, for the next `connect`.
   *
   * @throws {TypeError} for what is no class.
   */
  registerSASLMechanism(one: SASLMechanismClass): void {
    if (typeof one !== 'function') {
      throw new TypeError(`${String(one)} is no mechanism: it is a class, as Strophe.SASLSHA256`);
    }
    const mechanism = new one();
    this.mechanisms[mechanism.mechname] = mechanism;
  }

  /**
   * Called with the offer of the server. Whoever replaces it may call it later: until then the
   * login waits, but not longer than its deadline.
   */
  _connect_cb(_features: Element): void {
    if (this.do_authentication) this.authenticate();
  }

  /** Lets the core log in by one of these mechanisms. False if none of them can be used. */
  _attemptSASLAuth(mechanisms: SASLMechanism[]): boolean {
    const verdicts = this.judged(mechanisms);
    this.logInBy(verdicts);
    return verdicts.some(({ usable }) => usable);
  }

  /** The message that one of the nine mechanisms opens with, for classes that derive from it. */
  _firstMessage(mechanism: string): string {
    return binaryString(firstMessage(this.settings(), mechanism, this.proof()));
  }

  /** What the mechanisms say of themselves now. */
  protected judged(mechanisms = Object.values(this.mechanisms)): Verdict[] {
    return judge(this.whole, this.sortMechanismsByPriority(mechanisms));
  }

  /** The mechanisms as the core is told of them. */
  protected listed(): object[] {
    return Object.entries(this.mechanisms).map(([name, mechanism]) => ({
      name,
      own: isOwn(mechanism),
      clientFirst: mechanism.isClientFirst,
      exposesSecret: mechanism.exposesSecret,
    }));
  }

  /** The message of a mechanism that is JavaScript's. */
  protected respond(name: string, challenge: Uint8Array | undefined): unknown {
    const mechanism = this.mechanisms[name];
    if (!mechanism) throw new Error(`${name} is no longer among the mechanisms`);
    if (!challenge) return mechanism.clientChallenge(this.whole);
    return mechanism.onChallenge(this.whole, binaryString(challenge));
  }

  /** @internal What proves who logs in. */
  protected proof(): Proof {
    return classify(this.pass, Object.keys(this.mechanisms));
  }

  /** Mechanisms get all of a connection, which this is a part of. */
  private get whole(): Connection {
    return this as unknown as Connection;
  }
}
