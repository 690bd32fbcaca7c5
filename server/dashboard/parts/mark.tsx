/** The sign of the house: a fusible link between two ends, drawn by hand. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
      <rect class="mark-body" x="2" y="9" width="28" height="14" rx="7" />
      <path class="mark-wire" d="M6 16h5c2 0 2-3.5 4-3.5S17 19.500 19 19.500 20 16 22 16h4" />
    </svg>
  );
}
