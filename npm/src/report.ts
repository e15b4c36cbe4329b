// The report of a login: what was offered, chosen, checked and found. No secret is in it.

/** What was chosen. */
export interface ReportedChoice {
  /** `SASL` or `SASL2`. */
  profile: string;
  mechanism: string;
  priority: number;
  /** What the login was bound to; null is nothing. */
  binding: string | null;
}

/** The report of one login. What begins with the offer is missing where there was none. */
export interface LoginReport {
  /** The mechanisms that the server offers, as it wrote them. */
  offered?: string[];
  /** Those by SASL2; null where it does not offer that. */
  offered_sasl2?: string[] | null;
  /** Those for tokens. */
  offered_tokens?: string[] | null;
  /** What the server says that it can be bound to. */
  offered_bindings?: string[] | null;
  chosen?: ReportedChoice | null;
  passed_over?: { mechanism: string; offered: boolean; reason: string }[];
  encryption?: string;
  /** What a login over this connection could be bound to. */
  bindings?: string[];
  weaker?: string | null;
  /** What was tried, in its order. */
  attempts: ReportedChoice[];
  stages: { phase: string; milliseconds: number }[];
  checks: string[];
  /** How many times the client spoke before it was done. */
  flights: number;
  outcome: 'connected' | 'failed' | 'closed';
  jid?: string;
  condition?: string;
  error?: string;
  /** What the server says for people. */
  text?: string;
  findings: { finding: string; text: string }[];
}
