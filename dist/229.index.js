export const id = 229;
export const ids = [229];
export const modules = {

/***/ 8348:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ T)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(8995);
/* harmony import */ var _chunk_POWVGZEZ_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(8471);
/* harmony import */ var _chunk_L5ZC3U2X_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(1903);
/* harmony import */ var _chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(8151);
/* harmony import */ var node_crypto__WEBPACK_IMPORTED_MODULE_4__ = __webpack_require__(7598);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
function T(s,f=new Date){let i=[],a=t=>Buffer.from(s[t]??"","base64").toString("utf8"),e=s["tls.crt"]===void 0?{cert:"ca-cert.pem",key:"ca-key.pem",root:"root-cert.pem",chain:["cert-chain.pem"]}:{cert:"tls.crt",key:"tls.key",root:"ca.crt",chain:["tls.crt","ca.crt"]},h=[...new Set([e.cert,e.key,e.root,...e.chain])].filter(t=>s[t]===void 0);h.length>0&&i.push(`${h.join(", ")} ${h.length>1?"are":"is"} missing: istiod does not start with it.`);let p=t=>{let u=(0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_3__.d)(a(t)).map(_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_3__.f);return u.includes(void 0)&&i.push(`${t} holds something that is not a certificate.`),u.filter(d=>d!==void 0)},o=new Map([...new Set([e.cert,e.root,...e.chain])].map(t=>[t,p(t)]));for(let t of[e.cert,e.root])s[t]!==void 0&&o.get(t)?.length===0&&i.push(`${t} holds no PEM certificate.`);let n=o.get(e.cert)?.[0],c=o.get(e.root)??[],v=e.chain.flatMap(t=>o.get(t)??[]),r=n&&{certificate:n,chain:[...v,...c]},l;if(r&&c.length>0){let t=(0,_chunk_L5ZC3U2X_js__WEBPACK_IMPORTED_MODULE_2__.b)(c,r,f)??(0,_chunk_L5ZC3U2X_js__WEBPACK_IMPORTED_MODULE_2__.b)(c,r);l=t?.at(-1),t?i.push(...[r.certificate,...t.slice(1)].flatMap((u,d)=>w(u,d,f))):i.push(`${e.cert} does not chain to a root in ${e.root}.`),r.chain.some(u=>(0,_chunk_L5ZC3U2X_js__WEBPACK_IMPORTED_MODULE_2__.a)(u,r.certificate))||i.push(`${e.chain.join(", ")} does not hold ${e.cert}: peers cannot verify the workloads' certificates.`)}else n&&i.push(...w(n,0,f));if(s[e.key]!==void 0)try{let t=(0,node_crypto__WEBPACK_IMPORTED_MODULE_4__.createPrivateKey)(a(e.key));n&&!n.checkPrivateKey(t)&&i.push(`${e.key} does not belong to ${e.cert}.`)}catch{i.push(`${e.key} is not a PEM private key that can be read without a password.`)}return{roots:c,...l?{anchor:l}:{},...r?{issuer:r}:{},istioGenerated:s["istio-generated"]!==void 0,problems:i}}var A="1.3.6.1.5.5.7.3.1",C="2.5.29.37.0";function w(s,f,i){let a=`The certificate "${(0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_3__.c)(s)}"`,{ca:e,pathLength:h,signs:p,eku:o}=(0,_chunk_POWVGZEZ_js__WEBPACK_IMPORTED_MODULE_1__.a)(s),n=[],c=(0,_chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_3__.i)(s,i);return c&&n.push(`${a} ${c}.`),!e||!p?n.push(`${a} may not issue certificates (basicConstraints CA, keyUsage keyCertSign).`):h!==void 0&&h<f&&n.push(`${a} allows ${h} intermediates below it (pathlen), but there are ${f}.`),o.length>0&&!o.includes(A)&&!o.includes(C)&&n.push(`${a} is limited to other uses than server authentication (extendedKeyUsage).`),n}


/***/ }),

/***/ 8471:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ c)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(8995);
/* harmony import */ var _chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(9377);
/* harmony import */ var _chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(9473);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
var r=(0,_chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_2__.e)((0,_chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_1__.a)(),1),e=(0,_chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_2__.e)((0,_chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_1__.b)(),1);function c(i){let n=new e.X509Certificate(i.raw),t=n.getExtension(e.BasicConstraintsExtension),s=n.getExtension(e.KeyUsagesExtension),o=n.getExtension(e.ExtendedKeyUsageExtension);return{ca:t?.ca??!1,pathLength:t?.pathLength,signs:s===null||(s.usages&e.KeyUsageFlags.keyCertSign)!==0,eku:o?.usages.map(String)??[]}}


/***/ }),

/***/ 6229:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

__webpack_require__.r(__webpack_exports__);
/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   inspectCaCerts: () => (/* reexport safe */ _chunk_LHXNRMG3_js__WEBPACK_IMPORTED_MODULE_1__.a)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(8995);
/* harmony import */ var _chunk_LHXNRMG3_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(8348);
/* harmony import */ var _chunk_POWVGZEZ_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(8471);
/* harmony import */ var _chunk_6NCKWP3Z_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(9377);
/* harmony import */ var _chunk_L5ZC3U2X_js__WEBPACK_IMPORTED_MODULE_4__ = __webpack_require__(1903);
/* harmony import */ var _chunk_467EDZUA_js__WEBPACK_IMPORTED_MODULE_5__ = __webpack_require__(8151);
/* harmony import */ var _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_6__ = __webpack_require__(321);
/* harmony import */ var _chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_7__ = __webpack_require__(9473);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);



/***/ })

};
