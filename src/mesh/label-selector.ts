/** A label selector as Kubernetes' and Istio's APIs write it. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** Whether the selector takes what has these labels; an empty one takes everything. */
export function selectsLabels(selector: LabelSelector, labels: Readonly<Record<string, string>> = {}): boolean {
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === "In") return value !== undefined && values.includes(value);
      if (operator === "NotIn") return value === undefined || !values.includes(value);
      return operator === "Exists" ? value !== undefined : operator === "DoesNotExist" && value === undefined;
    })
  );
}

/** Whether one of the selectors takes what has these labels; where there are none, everything is taken. */
export function isSelected(selectors: readonly LabelSelector[], labels?: Readonly<Record<string, string>>): boolean {
  return selectors.length === 0 || selectors.some((selector) => selectsLabels(selector, labels));
}

/**
 * Labels with which each of several parties selects what has them; `undefined` where there are none.
 * @param parties the selectors of each, of which one is enough; none: it selects everything
 * @param labels those that are to stay as they are
 */
export function labelsFor(
  parties: readonly (readonly LabelSelector[])[],
  labels: Readonly<Record<string, string>>,
): Record<string, string> | undefined {
  const [next] = parties.filter((selectors) => !isSelected(selectors, labels));
  if (!next) return { ...labels };
  for (const selector of next) {
    const more = added(selector, labels);
    // What one party asks for may be what another one forbids.
    const all = more && selectsLabels(selector, more) ? labelsFor(parties, more) : undefined;
    if (all) return all;
  }
  return undefined;
}

/** The labels with those that a selector asks for, where they do not say otherwise already. */
function added(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): Record<string, string> | undefined {
  const asked: [key: string, value: string][] = [
    ...Object.entries(matchLabels),
    ...matchExpressions.flatMap(({ key, operator, values = [] }): [string, string][] => {
      if (operator === "In" && !values.includes(labels[key] ?? "")) return [[key, values[0] ?? ""]];
      return operator === "Exists" && labels[key] === undefined ? [[key, "true"]] : [];
    }),
  ];
  if (asked.some(([key, value]) => labels[key] !== undefined && labels[key] !== value)) return undefined;
  return { ...labels, ...Object.fromEntries(asked) };
}

/** Whether the labels have all that the selector asks for. */
export function matches(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>> = {},
): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}
