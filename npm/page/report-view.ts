// The report of a login: why this mechanism and no other, and where the time went.

import type { LoginReport } from 'epode';
import { make, part } from './parts.js';
import { milliseconds } from './steps.js';

export class ReportView {
  private readonly choice: HTMLElement;
  private readonly waits: HTMLElement;

  constructor(private readonly root: HTMLElement) {
    this.choice = part(root, 'choice');
    this.waits = part(root, 'waits');
    this.clear();
  }

  clear(): void {
    this.choice.hidden = this.waits.hidden = true;
  }

  show(report: LoginReport): void {
    const { chosen, passed_over } = report;
    this.choice.hidden = !passed_over;
    part(this.root, 'choice-text').textContent = choiceWords(report);
    const used = chosen ? [row(chosen.mechanism, 'yes', `used: its priority, ${chosen.priority}, is the highest`)] : [];
    for (const line of used) line.dataset['chosen'] = '';
    const others = (passed_over ?? []).map((it) => row(it.mechanism, it.offered ? 'yes' : 'no', it.reason));
    part(this.root, 'verdicts').replaceChildren(...used, ...others);

    const waits = waitsOf(report);
    this.waits.hidden = waits.length === 0;
    part(this.root, 'waits-text').textContent = `The login took ${flightWords(report)}`;
    part(this.root, 'wait-rows').replaceChildren(...waits.map(([words, time]) => row(words, milliseconds(time))));
  }
}

/** What went wrong, and what to do: the core's words. */
export function failureWords(report: LoginReport): string {
  const advice = report.findings.find(({ finding }) => finding === 'advice')?.text;
  const texts = [report.error, report.text, advice].filter((text) => text !== undefined);
  return texts.map((text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`).join(' ');
}

function choiceWords({ chosen, bindings, encryption }: LoginReport): string {
  if (!chosen) return 'None could be used.';
  const channel = encryption === 'none' ? 'without TLS' : `with ${encryption}`;
  if (chosen.binding) return `The login is bound to this connection by ${chosen.binding}.`;
  const why = bindings?.length ? 'the server does not ask for it' : 'a page cannot see what TLS could be bound to';
  return `The connection is ${channel}. The login is not bound to it: ${why}.`;
}

/** How often a login waited for the server. */
export function flightWords({ flights }: LoginReport): string {
  return `${flights} round ${flights === 1 ? 'trip' : 'trips'}.`;
}

/** How long each phase lasted, until the last began. */
function waitsOf({ stages }: LoginReport): [string, number][] {
  return stages.slice(0, -1).map(({ phase, milliseconds: begin }, index) => {
    return [PHASES[phase] ?? phase, stages[index + 1]!.milliseconds - begin];
  });
}

function row(head: string, ...cells: string[]): HTMLTableRowElement {
  const first = make('th', [head]);
  first.scope = 'row';
  return make('tr', [first, ...cells.map((cell) => make('td', [cell]))]);
}

/** What was waited for, by the names of the core. */
const PHASES: Record<string, string> = {
  Unopened: 'the connection',
  LoginHeader: 'the server’s header',
  LoginFeatures: 'what the server offers',
  SaslReply: 'the server’s part of the login',
  Answer: 'our part: keys are derived',
  BindHeader: 'the header after the login',
  BindFeatures: 'what it offers then',
  BoundFeatures: 'what it offers then',
  Resumed: 'the session of before',
  Bound: 'the resource',
  Session: 'the session',
  Closing: 'the end',
};
