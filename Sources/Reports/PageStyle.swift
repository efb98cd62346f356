/// The style sheet of a page.
enum PageStyle {
  static let css = """
    :root{\(ChartStyle.lightColours)--accent:#1b62a8;--serif:Charter,"Bitstream Charter","Iowan Old Style",\
    "Source Serif 4","Palatino Linotype",Palatino,Georgia,serif;--sans:\(ChartStyle.fontFamily);\
    --mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
    @media (prefers-color-scheme:dark){:root{\(ChartStyle.darkColours)--accent:#74b0ee}}
    \(layout)
    \(typography)
    \(tables)
    \(print)
    \(ChartStyle.css)
    """

  private static let layout = """
    *{box-sizing:border-box}
    html{background:var(--paper);color:var(--ink);-webkit-text-size-adjust:100%;text-size-adjust:100%}
    body{margin:0;padding:0 1.25rem;display:grid;grid-template-columns:minmax(0,45rem);justify-content:center}
    header,main,footer,nav{min-width:0}
    .skip{position:absolute;left:-99rem}
    .skip:focus{left:1rem;top:1rem;background:var(--paper);padding:.4rem .7rem;z-index:1}
    .scroll{overflow-x:auto}
    figure.tabular{margin:1.5rem 0 1.8rem}
    .tabular figcaption{margin:0 0 .6rem}
    .scroll:focus-visible,pre:focus-visible,a:focus-visible,summary:focus-visible{outline:2px solid var(--accent);\
    outline-offset:2px}
    figure{margin:2rem 0 2.2rem}
    main>:first-child{margin-top:0}
    .drawing{margin:0 auto}
    .drawing svg{display:block;width:100%;height:auto;overflow:visible}
    .narrow{display:none}
    @media screen and (max-width:36rem){.wide{display:none}.narrow{display:block}body{padding:0 1rem}}
    @media screen and (min-width:72rem){
    body{grid-template-columns:12.5rem minmax(0,45rem);column-gap:3.5rem}
    nav.contents{grid-column:1;grid-row:1/span 3;position:sticky;top:3.6rem;align-self:start;\
    max-height:calc(100vh - 5rem);overflow-y:auto;margin-top:3.9rem}
    header,main,footer{grid-column:2}
    }
    """

  private static let typography = """
    body{font:1.0625rem/1.58 var(--serif);text-rendering:optimizeLegibility;\
    font-feature-settings:"kern","liga";hanging-punctuation:first}
    header{margin:3.4rem 0 1.8rem}
    h1{font-size:2.15rem;line-height:1.16;letter-spacing:-.012em;font-weight:600;margin:0 0 .7rem;text-wrap:balance}
    .subtitle{font-size:1.2rem;line-height:1.48;color:var(--muted);margin:0;text-wrap:pretty}
    h2{font-size:1.38rem;line-height:1.25;font-weight:600;margin:3.1rem 0 .8rem;padding-top:1.1rem;\
    border-top:1px solid var(--grid);text-wrap:balance;scroll-margin-top:.5rem}
    h2 .number{color:var(--muted);font-weight:400;margin-right:.45em;font-variant-numeric:lining-nums}
    p{margin:0 0 1rem;text-wrap:pretty;hyphens:auto}
    ul{margin:0 0 1rem;padding-left:1.2rem}
    li{margin:.2rem 0}
    a{color:var(--accent);text-decoration-thickness:1px;text-underline-offset:.18em}
    code{font-family:var(--mono);font-size:.83em;overflow-wrap:anywhere}
    pre{font:.8125rem/1.55 var(--mono);background:var(--tint);border:1px solid var(--grid);border-radius:6px;\
    padding:.8rem 1rem;margin:1rem 0 1.3rem;overflow-x:auto;tab-size:2}
    pre code{font-size:1em;overflow-wrap:normal}
    figcaption{font:.875rem/1.5 var(--sans);color:var(--muted);margin-top:.7rem;text-wrap:pretty}
    figcaption b{color:var(--ink);font-weight:600}
    .note{border-left:3px solid var(--s5);padding:.1rem 0 .1rem 1rem;margin:1.3rem 0}
    .note p{margin:0;font-size:1rem}
    nav.contents{font:.875rem/1.45 var(--sans);margin:0 0 1.6rem}
    .nav-title{font-size:.75rem;letter-spacing:.06em;text-transform:uppercase;color:var(--muted);margin:0 0 .4rem}
    nav.contents ol{list-style:none;counter-reset:item;margin:0;padding:0}
    nav.contents li{counter-increment:item;margin:.3rem 0;padding-left:1.5em;text-indent:-1.5em}
    nav.contents li::before{content:counter(item);display:inline-block;width:1.5em;text-indent:0;color:var(--muted)}
    nav.contents a{color:inherit;text-decoration:none}
    nav.contents a:hover{color:var(--accent);text-decoration:underline}
    details{border:1px solid var(--grid);border-radius:6px;padding:0 1rem;margin:1.2rem 0}
    summary{font:500 .9375rem/1.5 var(--sans);cursor:pointer;padding:.6rem 0}
    details[open]{padding-bottom:.5rem}
    footer{font-size:.875rem;color:var(--muted);border-top:1px solid var(--grid);margin:3.5rem 0 3rem;padding-top:1rem}
    """

  private static let tables = """
    table{border-collapse:collapse;width:100%;font:.875rem/1.4 var(--sans);font-variant-numeric:tabular-nums lining-nums;\
    margin:0}
    th,td{text-align:left;vertical-align:baseline;padding:.36rem .55rem;font-weight:400}
    th:first-child,td:first-child{padding-left:.1rem}
    th:last-child,td:last-child{padding-right:.1rem}
    thead th{font-weight:600;vertical-align:bottom;border-top:1.5px solid var(--ink);border-bottom:1px solid var(--ink);\
    padding-top:.45rem;padding-bottom:.45rem}
    thead .unit{font-weight:400;color:var(--muted);white-space:nowrap}
    tbody tr+tr>*{border-top:1px solid var(--grid)}
    tbody tr:last-child>*{border-bottom:1.5px solid var(--ink)}
    tbody tr:hover>*{background:var(--tint)}
    .number{text-align:right}
    td.number{white-space:nowrap}
    table code{white-space:nowrap;font-size:.9em}
    .facts{font:.875rem/1.5 var(--sans);margin:1rem 0 1.4rem}
    .facts div{display:grid;grid-template-columns:minmax(8rem,13rem) minmax(0,1fr);gap:.2rem 1rem;padding:.28rem 0}
    .facts div+div{border-top:1px solid var(--grid)}
    .facts dt{color:var(--muted)}
    .facts dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
    .highlights{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.5rem,1fr));gap:1.2rem 2rem;margin:1.8rem 0 2rem}
    .highlights div{display:flex;flex-direction:column-reverse;justify-content:flex-end;border-top:1.5px solid var(--ink);\
    padding-top:.5rem}
    .highlights dd{margin:0;font:600 1.9rem/1.15 var(--sans);letter-spacing:-.02em;font-variant-numeric:tabular-nums}
    .highlights .unit{font-size:1rem;font-weight:500;letter-spacing:0;color:var(--muted)}
    .highlights dt{font:.8125rem/1.4 var(--sans);color:var(--muted);margin-top:.25rem}
    @media screen and (max-width:36rem){.facts div{grid-template-columns:1fr;gap:0}h1{font-size:1.75rem}\
    header{margin-top:2rem}.highlights{grid-template-columns:repeat(2,minmax(0,1fr));gap:1rem 1.2rem}}
    """

  private static let print = """
    @page{margin:18mm 16mm}
    @media print{
    :root{\(ChartStyle.lightColours)--paper:#fff}
    body{display:block;font-size:10.5pt;padding:0}
    nav.contents{display:none}
    header{margin-top:0}
    h2{break-after:avoid}
    figure,tr,.highlights,pre{break-inside:avoid}
    .scroll{overflow:visible}
    .drawing.wide{max-width:15.5cm!important;margin:0}
    pre{white-space:pre-wrap}
    details::details-content{content-visibility:visible;block-size:auto}
    tbody tr:hover>*{background:none}
    }
    """
}
