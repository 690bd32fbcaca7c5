import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/**
 * A page: its title is the document's, and takes the focus when the page is come to, so that a screen reader says where
 * one is.
 */
export function Page({
  title,
  crumb,
  actions,
  children,
  badge,
}: {
  title: string;
  crumb?: ComponentChildren;
  badge?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Fuselink`;
  }, [title]);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <>
      <header class="page-head">
        <div>
          {crumb === undefined ? null : <p class="crumb">{crumb}</p>}
          <h1 ref={heading} tabIndex={-1}>
            <span>{title}</span>
            {badge}
          </h1>
        </div>
        {actions === undefined ? null : <div class="actions">{actions}</div>}
      </header>
      {children}
    </>
  );
}
